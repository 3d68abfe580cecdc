# Worst path of one linked netlist, and the slews at its pins. The caller sets the variables named here.
#   vt_liberty vt_netlists vt_top vt_sdc vt_slews, and those of the SDC
foreach file $vt_liberty { read_liberty $file }
foreach file $vt_netlists { read_verilog $file }
link_design $vt_top
set_cmd_units -time ns -capacitance pF -resistance kOhm -voltage V -current mA -power W
source $vt_sdc
puts "VT slack [worst_slack]"
puts "VT path"
report_checks -path_delay max -format full -digits 4
puts "VT end"
if {$vt_slews} {
  puts "VT slews"
  foreach pin [get_pins *] {
    puts "[get_full_name $pin] [get_property $pin actual_rise_transition_max] [get_property $pin actual_fall_transition_max]"
  }
}
puts "VT done"
