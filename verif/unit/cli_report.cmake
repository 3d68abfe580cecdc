find_program(CHROMIUM chromium REQUIRED)
vt_unit_test(NAME cli_report)
target_compile_definitions(cli_report_test PRIVATE VT_PROGRAM="$<TARGET_FILE:vaultrain>"
                           VT_CHROMIUM="${CHROMIUM}")
add_dependencies(cli_report_test vaultrain)
target_link_libraries(cli_report_test PRIVATE GTest::gmock)
