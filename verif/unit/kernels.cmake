vt_unit_test(NAME kernels)
target_compile_definitions(kernels_test PRIVATE VT_CACHE="${CMAKE_CURRENT_BINARY_DIR}/cache")
set_tests_properties(kernels PROPERTIES TIMEOUT 1800)
