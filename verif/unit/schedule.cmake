vt_unit_test(NAME schedule)
target_include_directories(schedule_test PRIVATE ${CMAKE_SOURCE_DIR}/generator/src)
