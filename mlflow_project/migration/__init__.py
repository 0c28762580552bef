"""Import and conversion of versions: old files, pickles, other servers."""
