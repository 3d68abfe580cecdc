vt_block_test(NAME perf_counters TOP vt_perf_counters PARAMS Count=3 EventBits=32 Bits=44)
