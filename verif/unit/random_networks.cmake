vt_unit_test(NAME random_networks)
target_include_directories(random_networks_test PRIVATE ${CMAKE_SOURCE_DIR}/generator/src)
