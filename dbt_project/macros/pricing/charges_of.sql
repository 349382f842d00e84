{#
    The sum of cost_of, of tokens with so many digits, in so many digits. Kinds that most operations have none of are multiplied
    only where there are some.
#}
{% macro charges_of(kinds, usage, rates, prefix='', token_digits=19, digits=38) -%}
    {%- set tokens = token_kinds(usage) -%}
    {%- set rare = ['cache_write', 'cache_write_1h', 'input_audio', 'cache_read_audio', 'output_audio'] -%}
    {%- set usual_kinds = kinds | reject('in', rare) | list -%}
    {%- set rare_kinds = kinds | select('in', rare) | list -%}
    {%- for kind in usual_kinds %}
        {%- set rate = rates ~ '.' ~ prefix ~ kind ~ '_rate' %}
    {% if not loop.first %}+ {% endif -%}
    {%- if kind in tokens %}{{ charge(tokens[kind], rate, token_digits, digits) }}
    {%- else %}cast({{ rate }} as numeric({{ digits }}, 12))
    {%- endif %}
    {%- endfor %}
    {%- if rare_kinds %}
    {% if usual_kinds %}+ {% endif -%}
    case
        when
            coalesce({{ usage }}.cache_write_tokens, 0) <> 0
            or coalesce({{ usage }}.input_audio_tokens, 0) <> 0
            or coalesce({{ usage }}.output_audio_tokens, 0) <> 0
            then
            {%- for kind in rare_kinds %}
            {{ '+ ' if not loop.first }}{{ charge(tokens[kind], rates ~ '.' ~ prefix ~ kind ~ '_rate', token_digits, digits) }}
            {%- endfor %}
        when {{ rates }}.{{ prefix }}{{ rare_kinds[0] }}_rate is not null then cast(0 as numeric({{ digits }}, 12))
    end
    {%- endif %}
{%- endmacro %}
