vt_unit_test(NAME cli)
target_compile_definitions(cli_test PRIVATE VT_PROGRAM="$<TARGET_FILE:vaultrain>")
add_dependencies(cli_test vaultrain)
target_link_libraries(cli_test PRIVATE GTest::gmock)

# What cmake --install puts down runs from a copy elsewhere, in an empty folder, and trains.
add_test(NAME install
         COMMAND ${CMAKE_COMMAND} -DBUILD=${CMAKE_BINARY_DIR}
                 -DWORK=${CMAKE_CURRENT_BINARY_DIR}/installed
                 -P ${CMAKE_CURRENT_SOURCE_DIR}/install_check.cmake)
set_tests_properties(install PROPERTIES LABELS slow)
