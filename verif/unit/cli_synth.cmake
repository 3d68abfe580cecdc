vt_unit_test(NAME cli_synth)
target_compile_definitions(cli_synth_test PRIVATE VT_PROGRAM="$<TARGET_FILE:vaultrain>")
add_dependencies(cli_synth_test vaultrain)
target_link_libraries(cli_synth_test PRIVATE vt_synth GTest::gmock)
