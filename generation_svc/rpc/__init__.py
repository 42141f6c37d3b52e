"""The gRPC server: servicers, conversions, the error table and interceptors."""
