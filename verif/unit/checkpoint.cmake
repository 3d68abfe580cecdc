vt_unit_test(NAME checkpoint)
target_compile_definitions(checkpoint_test PRIVATE VT_CACHE="${CMAKE_CURRENT_BINARY_DIR}/cache"
                           VT_PROGRAM="$<TARGET_FILE:vaultrain>")
add_dependencies(checkpoint_test vaultrain)
target_link_libraries(checkpoint_test PRIVATE GTest::gmock)
set_tests_properties(checkpoint PROPERTIES TIMEOUT 1800)
