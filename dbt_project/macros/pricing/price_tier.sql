{# The service tier by which a model is priced, for what a provider called it: all but a few are the standard one. #}
{% macro price_tier(service_tier) -%}
    case lower({{ service_tier }})
        when 'batch' then 'batch'
        when 'flex' then 'flex'
        when 'priority' then 'priority'
        when 'fast' then 'fast'
        else 'standard'
    end
{%- endmacro %}
