"""One definition of each metric, the same in training and in monitoring. Pure arithmetic.

`classification`: a target of 0 and 1, scores in [0, 1], flags. `calibration`: scores against
observed rates. `resampling`: intervals of any of them.
"""
