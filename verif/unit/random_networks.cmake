vt_unit_test(NAME random_networks)
target_include_directories(random_networks_test PRIVATE ${CMAKE_SOURCE_DIR}/generator/src)
target_compile_definitions(random_networks_test PRIVATE VT_CACHE="${CMAKE_CURRENT_BINARY_DIR}/cache")
set_tests_properties(random_networks PROPERTIES LABELS slow)  # the model of nano
