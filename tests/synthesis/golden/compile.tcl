# Compilation of net with virtual pins.
load_package flow
project_new net -overwrite
set_global_assignment -name FAMILY "Arria 10"
set_global_assignment -name DEVICE 10AX115S2F45I1SG
set_global_assignment -name TOP_LEVEL_ENTITY net
set_global_assignment -name VERILOG_FILE "FOLDER/src/net_cells.v"
set_global_assignment -name VERILOG_FILE "FOLDER/src/net.v"
set_global_assignment -name SDC_FILE clock.sdc
set_instance_assignment -name VIRTUAL_PIN ON -to *
set_instance_assignment -name VIRTUAL_PIN OFF -to clk
execute_flow -compile
project_close
