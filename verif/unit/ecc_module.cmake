vt_unit_test(NAME ecc_module)
target_compile_definitions(ecc_module_test PRIVATE VT_CACHE="${CMAKE_CURRENT_BINARY_DIR}/cache")
set_tests_properties(ecc_module PROPERTIES TIMEOUT 1800)
