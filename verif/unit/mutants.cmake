vt_unit_test(NAME mutants)
target_compile_definitions(mutants_test PRIVATE VT_CACHE="${CMAKE_CURRENT_BINARY_DIR}/cache")
set_tests_properties(mutants PROPERTIES TIMEOUT 1800)
