vt_unit_test(NAME cli)
target_compile_definitions(cli_test PRIVATE VT_PROGRAM="$<TARGET_FILE:vaultrain>")
add_dependencies(cli_test vaultrain)
target_link_libraries(cli_test PRIVATE GTest::gmock)

# What cmake --install puts down runs from there.
set(prefix ${CMAKE_CURRENT_BINARY_DIR}/installed)
add_test(NAME install
         COMMAND sh -c "rm -rf '${prefix}' && '${CMAKE_COMMAND}' --install '${CMAKE_BINARY_DIR}' \
--prefix '${prefix}' >/dev/null && cd / && '${prefix}/bin/vaultrain' list --json /dev/null && \
test -f '${prefix}/share/vaultrain/rtl_templates/common/vt_sram.v' && \
test -f '${prefix}/share/vaultrain/constraints/dram/hmc1.toml'")
