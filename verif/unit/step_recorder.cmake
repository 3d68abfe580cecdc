vt_unit_test(NAME step_recorder)
target_link_libraries(step_recorder_test PRIVATE vt_synth)
target_include_directories(step_recorder_test PRIVATE ${CMAKE_SOURCE_DIR}/synth/src)
