{#
    The least value of a bucket, 1.02 to the power of its number, as a double that is the same everywhere: the product of one
    of 73 powers and one of 64. Each of them is the double nearest to its exact value, a quotient of whole numbers, and all
    processors multiply two doubles alike; powers and logarithms differ from machine to machine in the last digits.
#}
{% macro histogram_bound(bucket) -%}
    {%- set coarse = [] -%}
    {%- for exponent in range(-2048, 2561, 64) -%}
        {%- set power = 102 ** exponent / 100 ** exponent if exponent >= 0 else 100 ** -exponent / 102 ** -exponent -%}
        {%- do coarse.append('%.16e' | format(power)) -%}
    {%- endfor -%}
    {%- set fine = [] -%}
    {%- for exponent in range(64) -%}
        {%- do fine.append('%.16e' | format(102 ** exponent / 100 ** exponent)) -%}
    {%- endfor -%}
    {%- set place = '(cast(' ~ bucket ~ ' as integer) + 2048)' -%}
    (cast(array[{{ coarse | join(', ') }}] as double precision[]))[({{ place }} >> 6) + 1]
    * (cast(array[{{ fine | join(', ') }}] as double precision[]))[({{ place }} & 63) + 1]
{%- endmacro %}
