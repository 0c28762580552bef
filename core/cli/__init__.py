"""What commands on a terminal share."""
