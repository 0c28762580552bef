"""What training, serving and monitoring share; imports none of the three packages."""
