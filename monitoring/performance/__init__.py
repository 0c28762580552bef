"""Labels, and the evaluation of a version by them."""
