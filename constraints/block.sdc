# Timing constraints of one block and of the whole, for OpenSTA.
#
# The caller sets: vt_clock_ns, vt_input_delay_ns, vt_output_delay_ns, vt_driver (cell or empty), vt_load_pf, and
# vt_uncertainty_ns. The two delays are the budget of what surrounds the block: its inputs come from registers with
# some logic behind them, its outputs are registered and meet some logic before the next register. Without input delay
# OpenSTA 2.0.17 propagates no activity from the inputs, and power comes out near zero.

set vt_inputs {}
foreach vt_port [all_inputs] {
  if {[get_property $vt_port full_name] ne "clk_i"} { lappend vt_inputs $vt_port }
}
create_clock -name clk -period $vt_clock_ns [get_ports clk_i]
set_clock_uncertainty -setup $vt_uncertainty_ns [get_clocks clk]
if {[llength $vt_inputs] > 0} {
  set_input_delay $vt_input_delay_ns -clock clk $vt_inputs
  if {$vt_driver ne ""} { set_driving_cell -lib_cell $vt_driver $vt_inputs }
}
if {[llength [all_outputs]] > 0} {
  set_output_delay $vt_output_delay_ns -clock clk [all_outputs]
  set_load $vt_load_pf [all_outputs]
}
