vt_unit_test(NAME synth)
target_link_libraries(synth_test PRIVATE vt_synth)
