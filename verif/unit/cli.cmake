vt_unit_test(NAME cli)
target_compile_definitions(cli_test PRIVATE VT_PROGRAM="$<TARGET_FILE:vaultrain>")
add_dependencies(cli_test vaultrain)
target_link_libraries(cli_test PRIVATE GTest::gmock)
