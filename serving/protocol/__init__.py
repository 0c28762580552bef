"""From bytes to rows and from outputs to answers: the formats that clients send and read."""
