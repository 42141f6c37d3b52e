"""What only a gRPC server needs: servicers, conversions, the error table, interceptors."""
