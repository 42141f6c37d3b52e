"""Limits of the contract that more than one part of the service enforces."""

MAX_ID_LENGTH = 128
"""The length of ids, keys, owners and tokens, in characters."""

MAX_LINK_LENGTH = 2048
"""The length of an address, in characters."""

MAX_UPLOAD_BYTES = 500 * 2**20
"""The size of an upload, whatever the operator allows; models say what each of them takes."""
