vt_block_test(NAME semaphores TOP vt_semaphores)
