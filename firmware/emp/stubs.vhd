-- For simulation only: as much of the EMP framework's and IPbus' packages as a payload sees. On a board the framework brings
-- its own; the names of types, fields and ports are those of the public CMS phase-2 framework.
library ieee;
use ieee.std_logic_1164.all;

package ipbus is
    type ipb_wbus is record
        ipb_addr   : std_logic_vector(31 downto 0);
        ipb_wdata  : std_logic_vector(31 downto 0);
        ipb_strobe : std_logic;
        ipb_write  : std_logic;
    end record;
    type ipb_rbus is record
        ipb_rdata : std_logic_vector(31 downto 0);
        ipb_ack   : std_logic;
        ipb_err   : std_logic;
    end record;
    constant IPB_RBUS_NULL : ipb_rbus := ((others => '0'), '0', '0');
end package;

library ieee;
use ieee.std_logic_1164.all;

package emp_data_types is
    constant LWORD_WIDTH : integer := 64;
    type lword is record
        data           : std_logic_vector(LWORD_WIDTH - 1 downto 0);
        valid          : std_logic;
        start_of_orbit : std_logic;
        start          : std_logic;
        last           : std_logic;
        strobe         : std_logic;
    end record;
    type ldata is array (natural range <>) of lword;
    constant LWORD_NULL : lword := ((others => '0'), '0', '0', '0', '0', '0');
end package;

package emp_device_decl is
    constant N_REGION : integer := 18;
end package;

package emp_project_decl is
end package;

library ieee;
use ieee.std_logic_1164.all;

package emp_ttc_decl is
    type ttc_stuff is record
        ttc_cmd : std_logic_vector(7 downto 0);
        l1a     : std_logic;
        bctr    : std_logic_vector(11 downto 0);
    end record;
    type ttc_stuff_array is array (natural range <>) of ttc_stuff;
    constant TTC_STUFF_NULL : ttc_stuff := ((others => '0'), '0', (others => '0'));
end package;

library ieee;
use ieee.std_logic_1164.all;

package emp_slink_types is
    constant SLINK_MAX_QUADS : integer := 4;
    type slink_input_data_quad is record
        data : std_logic_vector(511 downto 0);
    end record;
    type slink_input_data_quad_array is array (natural range <>) of slink_input_data_quad;
    constant SLINK_INPUT_DATA_QUAD_NULL : slink_input_data_quad := (data => (others => '0'));
end package;
