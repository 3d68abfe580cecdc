vt_unit_test(NAME rtl_probe)
target_compile_definitions(rtl_probe_test PRIVATE VT_CACHE="${CMAKE_CURRENT_BINARY_DIR}/cache")
