vt_unit_test(NAME cli_explain)
target_compile_definitions(cli_explain_test PRIVATE VT_PROGRAM="$<TARGET_FILE:vaultrain>")
add_dependencies(cli_explain_test vaultrain)
target_link_libraries(cli_explain_test PRIVATE GTest::gmock)
