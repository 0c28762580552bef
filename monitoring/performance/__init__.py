"""Labels, and the judgement of a version by them."""
