vt_unit_test(NAME gatesim)
target_link_libraries(gatesim_test PRIVATE vt_synth)
target_include_directories(gatesim_test PRIVATE ${CMAKE_SOURCE_DIR}/synth/src)
