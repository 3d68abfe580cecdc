vt_unit_test(NAME windows)
target_include_directories(windows_test PRIVATE ${CMAKE_SOURCE_DIR}/generator/src)
