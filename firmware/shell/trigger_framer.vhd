-- Collects the words of an event: FRAMES frames, each of one word from every link, one frame a clock cycle.
--
-- A frame with `start` is the first of its event, the others follow in the next cycles; with GAPS in later ones too. Every
-- event is one bunch crossing:
-- `start_of_orbit` on its first frame makes it crossing 0, the next event is crossing 1, and so on. What breaks these rules
-- raises an error for one cycle: an event that is cut short, or goes on without a start, is dropped (error(0)); links that
-- disagree about valid or start are read as link 0 has it (error(1)); an orbit that begins too early or too late begins (error(2));
-- an event that ends less than INTERVAL cycles after the one before is dropped, but has its bunch crossing (error(3)).
library ieee;
use ieee.std_logic_1164.all;
use ieee.numeric_std.all;

entity trigger_framer is
    generic (
        LINKS     : positive := 1;
        WORD_BITS : positive := 64;
        FRAMES    : positive := 1;
        GAPS      : boolean  := false;
        INTERVAL  : positive := 1;
        ORBIT     : positive := 3564
    );
    port (
        clk            : in  std_logic;
        rst            : in  std_logic;
        ce             : in  std_logic;
        valid          : in  std_logic_vector(LINKS - 1 downto 0);
        start          : in  std_logic_vector(LINKS - 1 downto 0);
        start_of_orbit : in  std_logic_vector(LINKS - 1 downto 0);
        data           : in  std_logic_vector(LINKS * WORD_BITS - 1 downto 0);
        event_valid    : out std_logic;
        event_bx       : out std_logic_vector(11 downto 0);
        -- frame 0 in the lowest bits, in it link 0
        event_data     : out std_logic_vector(FRAMES * LINKS * WORD_BITS - 1 downto 0);
        error          : out std_logic_vector(3 downto 0)
    );
end entity;

architecture rtl of trigger_framer is
    constant FRAME_BITS : positive := LINKS * WORD_BITS;
    constant ALL_ONES   : std_logic_vector(LINKS - 1 downto 0) := (others => '1');
    constant ALL_ZEROS  : std_logic_vector(LINKS - 1 downto 0) := (others => '0');

    signal frame    : natural range 0 to FRAMES - 1;  -- the frame that is expected; 0 between events
    signal in_orbit : std_logic;                      -- a start of orbit has been seen
    signal bx       : natural range 0 to ORBIT - 1;
    signal pause    : natural range 0 to INTERVAL - 1;  -- cycles in which no event may end
begin
    event_bx <= std_logic_vector(to_unsigned(bx, 12));

    process (clk)
        variable accepted : boolean;
        variable place    : natural range 0 to FRAMES - 1;
        variable stalled  : boolean;
        variable cut      : boolean;
        variable complete : boolean;
        variable early    : boolean;
    begin
        if rising_edge(clk) then
            accepted := valid(0) = '1' and (start(0) = '1' or frame /= 0);
            stalled := GAPS and valid(0) = '0';
            place := 0 when start(0) = '1' else frame;
            complete := accepted and place = FRAMES - 1;
            early := pause /= 0;
            if rst = '1' then
                frame <= 0;
                in_orbit <= '0';
                bx <= ORBIT - 1;
                event_valid <= '0';
                pause <= 0;
                error <= "0000";
            elsif ce = '1' then
                event_valid <= '1' when complete and not early else '0';
                if early then
                    pause <= pause - 1;
                elsif complete then
                    pause <= INTERVAL - 1;
                end if;
                if accepted and place /= FRAMES - 1 then
                    frame <= place + 1;
                elsif not stalled then
                    frame <= 0;
                end if;
                cut := frame /= 0 and not stalled and (valid(0) = '0' or start(0) = '1');
                error(0) <= '1' when cut or (frame = 0 and valid(0) = '1' and start(0) = '0') else '0';
                error(1) <= '1' when (valid /= ALL_ZEROS and valid /= ALL_ONES)
                                  or (valid(0) = '1' and start /= ALL_ZEROS and start /= ALL_ONES) else '0';
                error(2) <= '0';
                error(3) <= '1' when complete and early else '0';
                if valid(0) = '1' and start(0) = '1' then
                    in_orbit <= in_orbit or start_of_orbit(0);
                    if in_orbit = '1' and (start_of_orbit(0) = '1') /= (bx = ORBIT - 1) then
                        error(2) <= '1';
                    end if;
                    if start_of_orbit(0) = '1' or bx = ORBIT - 1 then
                        bx <= 0;
                    else
                        bx <= bx + 1;
                    end if;
                end if;
            end if;
            if ce = '1' and accepted then
                event_data(place * FRAME_BITS + FRAME_BITS - 1 downto place * FRAME_BITS) <= data;
            end if;
        end if;
    end process;
end architecture;
