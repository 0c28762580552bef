"""What one served model consists of, its shadow included."""
