"""What TensorBoard shows of a run; written with the `tensorboard` package alone, TensorFlow is not needed.

Begin at `marl_pbt.tensorboard.recorder`.
"""
