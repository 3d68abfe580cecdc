vt_unit_test(NAME training_graph)
target_include_directories(training_graph_test PRIVATE ${CMAKE_SOURCE_DIR}/generator/src)
