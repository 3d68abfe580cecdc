# Proofs by induction in Yosys; each also reaches its witness and breaks by its mutants.
foreach(proof fifo credit_counter round_robin window_check)
  add_test(NAME formal_${proof} COMMAND ${CMAKE_SOURCE_DIR}/verif/formal/prove ${proof})
endforeach()
