{#
    The value that stands for all in a bucket: the geometric middle of its bounds, from which none of them is further than
    1 % of itself; 0 for the bucket of zeros.
#}
{% macro histogram_value(bucket) -%}
    case when {{ bucket }} = -2049 then 0 else {{ histogram_bound(bucket) }} * 1.0099504938362078e0 end
{%- endmacro %}
