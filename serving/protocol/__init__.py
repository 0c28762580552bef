"""Request and response formats: from bytes to rows, and from outputs to responses."""
