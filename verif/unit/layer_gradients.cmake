vt_unit_test(NAME layer_gradients)
target_include_directories(layer_gradients_test PRIVATE ${CMAKE_SOURCE_DIR}/generator/src)
