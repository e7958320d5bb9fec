-- One accept bit: whether a score is at least a threshold, and then, of those events, every `prescale`-th.
--
-- The threshold is an integer of the score's own steps. It and the prescale can be written at any time and hold for the scores
-- that come in the cycles after. A prescale of 0 accepts nothing, one of 1 everything that passes; writing it makes the next
-- event that passes an accepted one.
library ieee;
use ieee.std_logic_1164.all;
use ieee.numeric_std.all;

entity trigger_working_point is
    generic (
        SCORE_BITS : positive := 8;
        IS_SIGNED  : boolean  := false;
        THRESHOLD  : signed(63 downto 0) := (others => '0')  -- after a reset
    );
    port (
        clk             : in  std_logic;
        rst             : in  std_logic;
        ce              : in  std_logic;
        score_valid     : in  std_logic;
        score           : in  std_logic_vector(SCORE_BITS - 1 downto 0);
        accept          : out std_logic;  -- two cycles after the score
        clear           : in  std_logic;  -- the counter
        threshold_write : in  std_logic;
        new_threshold   : in  std_logic_vector(63 downto 0);
        prescale_write  : in  std_logic;
        new_prescale    : in  std_logic_vector(31 downto 0);
        held_threshold  : out std_logic_vector(63 downto 0);
        prescale        : out std_logic_vector(31 downto 0);
        accepted        : out std_logic_vector(63 downto 0)
    );
end entity;

architecture rtl of trigger_working_point is
    -- Two bits more than the score: any threshold beyond what a score can be is brought to where it decides the same.
    constant BITS  : positive := SCORE_BITS + 2;
    constant MOST  : signed(63 downto 0) := shift_left(to_signed(1, 64), SCORE_BITS);
    constant LEAST : signed(63 downto 0) := -MOST;

    signal held, wide : signed(BITS - 1 downto 0);
    signal passes     : std_logic;
    signal factor     : unsigned(31 downto 0);
    signal left       : unsigned(31 downto 0);  -- events that pass and are not accepted, until the next that is
    signal count      : unsigned(63 downto 0);
begin
    wide <= resize(signed(score), BITS) when IS_SIGNED else signed(resize(unsigned(score), BITS));
    held_threshold <= std_logic_vector(resize(held, 64));
    prescale <= std_logic_vector(factor);
    accepted <= std_logic_vector(count);

    process (clk)
        variable takes : boolean;
    begin
        if rising_edge(clk) then
            takes := ce = '1' and passes = '1' and factor /= 0 and left = 0;

            if rst = '1' then
                held <= resize(THRESHOLD, BITS);
            elsif threshold_write = '1' then
                if signed(new_threshold) > MOST then
                    held <= resize(MOST, BITS);
                elsif signed(new_threshold) < LEAST then
                    held <= resize(LEAST, BITS);
                else
                    held <= resize(signed(new_threshold), BITS);
                end if;
            end if;

            if rst = '1' then
                passes <= '0';
            elsif ce = '1' then
                passes <= '1' when score_valid = '1' and wide >= held else '0';
            end if;

            if rst = '1' then
                accept <= '0';
                left <= (others => '0');
                factor <= to_unsigned(1, 32);
            else
                if ce = '1' then
                    accept <= '1' when takes else '0';
                    if passes = '1' and factor /= 0 then
                        left <= factor - 1 when left = 0 else left - 1;
                    end if;
                end if;
                if prescale_write = '1' then
                    factor <= unsigned(new_prescale);
                    left <= (others => '0');
                end if;
            end if;

            if rst = '1' or clear = '1' then
                count <= (others => '0');
            elsif takes then
                count <= count + 1;
            end if;
        end if;
    end process;
end architecture;
