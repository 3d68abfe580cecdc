vt_unit_test(NAME cli_train)
target_include_directories(cli_train_test PRIVATE ${CMAKE_SOURCE_DIR}/generator/src)
target_compile_definitions(cli_train_test PRIVATE VT_PROGRAM="$<TARGET_FILE:vaultrain>"
                           VT_CACHE="${CMAKE_CURRENT_BINARY_DIR}/cache")
add_dependencies(cli_train_test vaultrain)
target_link_libraries(cli_train_test PRIVATE GTest::gmock)
