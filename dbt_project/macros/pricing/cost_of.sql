{#
    US dollars, numeric(38, 12), for the tokens of some `kinds` (of those that token_kinds has) and, with 'request', for the
    operation itself: each kind is rounded for itself, half away from zero, so that the parts of a cost add up to it. NULL without
    a rate. `usage` is the relation with the tokens, which must not be impossible, `rates` the one with the rates, their names
    after `prefix`. Kinds that most operations have none of are multiplied only where there are some.
#}
{% macro cost_of(kinds, usage, rates, prefix='') -%}
    {%- set tokens = token_kinds(usage) -%}
    {%- set rare = ['cache_write', 'cache_write_1h', 'input_audio', 'cache_read_audio', 'output_audio'] -%}
    {%- set usual_kinds = kinds | reject('in', rare) | list -%}
    {%- set rare_kinds = kinds | select('in', rare) | list -%}
    {%- for kind in usual_kinds %}
        {%- set rate = rates ~ '.' ~ prefix ~ kind ~ '_rate' %}
    {% if not loop.first %}+ {% endif -%}
    {{ charge(tokens[kind], rate) if kind in tokens else 'cast(' ~ rate ~ ' as numeric(38, 12))' }}
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
            {{ '+ ' if not loop.first }}{{ charge(tokens[kind], rates ~ '.' ~ prefix ~ kind ~ '_rate') }}
            {%- endfor %}
        when {{ rates }}.{{ prefix }}{{ rare_kinds[0] }}_rate is not null then cast(0 as numeric(38, 12))
    end
    {%- endif %}
{%- endmacro %}
