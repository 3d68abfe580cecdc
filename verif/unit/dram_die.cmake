vt_unit_test(NAME dram_die)
