"""The gradients of one block of presentations, one module per model.

`models.specs` names a module's `add_gradients`. It is called with the stage, the block's rows and
the number of presentations in the batch, and adds the block's part to the stage's gradients. On a
GPU it is recorded as a CUDA graph: it must not read a value back to the host, allocate by data or
use tensors of another device. A test looks for all three.
"""
