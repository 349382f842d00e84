{#
    A percentile as the double nearest to its exact value. Interpolating between whole milliseconds at a percentile of two
    digits gives a number with at most two decimals; what follows them is noise, and differs between engines.
#}
{% macro without_float_noise(percentile) -%}
    cast(cast({{ percentile }} as numeric(38, 2)) as double precision)
{%- endmacro %}
