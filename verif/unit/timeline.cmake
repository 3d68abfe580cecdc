vt_unit_test(NAME timeline)
target_compile_definitions(timeline_test PRIVATE VT_CACHE="${CMAKE_CURRENT_BINARY_DIR}/cache")
set_tests_properties(timeline PROPERTIES LABELS slow)  # a model of its own
