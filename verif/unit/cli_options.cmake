find_package(CLI11 REQUIRED)
vt_unit_test(NAME cli_options)
target_sources(cli_options_test PRIVATE ${CMAKE_SOURCE_DIR}/generator/src/cli/command.cpp
                                        ${CMAKE_SOURCE_DIR}/generator/src/cli/options.cpp)
target_include_directories(cli_options_test PRIVATE ${CMAKE_SOURCE_DIR}/generator/src)
target_link_libraries(cli_options_test PRIVATE CLI11::CLI11)
