vt_unit_test(NAME networks)
target_include_directories(networks_test PRIVATE ${CMAKE_SOURCE_DIR}/generator/src)
