vt_unit_test(NAME rtl_networks)
target_include_directories(rtl_networks_test PRIVATE ${CMAKE_SOURCE_DIR}/generator/src)
target_compile_definitions(rtl_networks_test PRIVATE VT_CACHE="${CMAKE_CURRENT_BINARY_DIR}/cache")
set_tests_properties(rtl_networks PROPERTIES TIMEOUT 36000)
